import pytest

from databroker_like.core._yaml_templates import is_template, problems

KNOWN = {"CATALOG_DIR", "cycle", "name"}


@pytest.mark.parametrize(
    "text",
    [
        "/data/run.jsonl",
        "{{ CATALOG_DIR }}/data/*.jsonl",
        "{{ CATALOG_DIR }}{{ cycle }}",
        "{{ env(HOME) }}/{{ env('USER') }}",
        "{{ env(DATA, '/data') }}",
        "{{ client_env(HOME) }}",
        "{{ name | upper }}-{{ '%02d' | format(3) }}",
        "{% if cycle == '2024-1' %}a{% else %}b{% endif %}",
        "{% set folder = cycle %}{{ folder }}",
    ],
)
def test_parameters_environment_and_harmless_filters_are_allowed(text):
    assert problems(text, KNOWN) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ shell(touch /tmp/x) }}",
        "{{ shell('touch x') }}",
        "{{ client_shell('touch x') }}",
        "{{ shell }}",
        "{% set s = shell %}{{ s('touch x') }}",
        "{{ cycler.__init__.__globals__.os.popen('touch x').read() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''['__cl' ~ 'ass__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ ['x'] | map(attribute='__class__') | list }}",
        "{{ lipsum('a') }}",
        "{{ env('a').__class__ }}",
        "{% import 'x' as y %}",
        "{% include '/etc/passwd' %}",
        "{{ '{0.__class__}'.format('') }}",
    ],
)
def test_nothing_that_reaches_a_shell_or_python_is_allowed(text):
    assert problems(text, None)


def test_an_undefined_name_is_answered_with_the_nearest():
    (problem,) = problems("{{ cicle }}", KNOWN)
    assert "'cicle'" in problem
    assert "nearest: 'cycle'" in problem
    (problem,) = problems("{{ zzzzzz }}", KNOWN)
    assert "'CATALOG_DIR', 'cycle', 'name'" in problem


def test_names_are_not_asked_for_where_they_may_come_from_outside():
    assert problems("{{ anything }}", None) == []


def test_a_template_that_does_not_end_is_told():
    (problem,) = problems("{{ CATALOG_DIR }", KNOWN)
    assert "cannot be read" in problem


def test_a_text_without_braces_is_no_template():
    assert not is_template("/data/{run}")
    assert is_template("{% raw %}")
