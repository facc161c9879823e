import logging

import pytest

from databroker_like import errors
from databroker_like.service import Problem, problem_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("no such entry"), 404),
        (errors.Invalid("no number"), 400),
        (errors.OutOfRange("beyond the end"), 400),
        (errors.InvalidRequest("no such field"), 422),
        (errors.NoSuchFormat("no such format"), 406),
        (errors.TooLarge("too large"), 413),
        (errors.NotAuthenticated("no key"), 401),
        (errors.NotPermitted("not yours"), 403),
        (errors.Conflict("is there"), 409),
        (errors.MissingFile("is gone"), 410),
        (errors.Unreachable("the database does not answer"), 503),
    ],
)
def test_our_errors_have_their_status_and_their_sentence(error, status):
    problem = problem_of(error)
    assert (problem.status, problem.detail) == (status, str(error))


@pytest.mark.parametrize("cls", [errors.HandlerFailed, errors.TransformFailed, errors.MissingExtra, errors.NotOffered])
def test_a_failure_that_stays_is_none_that_a_client_tries_again(cls, caplog):
    with caplog.at_level(logging.WARNING):
        assert problem_of(cls("it cannot be read")) == Problem(422, "it cannot be read")
    assert "it cannot be read" in caplog.text


def test_any_other_error_goes_to_the_log_and_to_nobody_else(caplog):
    problem = problem_of(RuntimeError("password=hunter2"))
    assert problem.status == 500
    assert "hunter2" not in problem.detail
    assert "hunter2" in caplog.text


def test_a_caller_is_told_how_to_say_who_it_is_and_when_to_come_again():
    assert problem_of(errors.NotAuthenticated("no key")).headers == {"WWW-Authenticate": "Apikey"}
    assert problem_of(errors.Unreachable("later")).headers == {"Retry-After": "5"}


def test_a_sentence_is_no_longer_than_anybody_reads():
    detail = problem_of(errors.InvalidRequest("x" * 30_000)).detail
    assert (len(detail), detail[-4:]) == (2003, "x...")


@pytest.mark.parametrize(
    "cls", [errors.MissingFile, errors.InvalidFile, errors.HandlerFailed, errors.NoSuchHandler, errors.NotWritable]
)
def test_where_files_lie_is_told_to_nobody(cls):
    problem = problem_of(cls("there is no file '/data/secret/run.h5'; its root '/data' was not changed"))
    assert problem.detail == "there is no file 'run.h5'; its root 'data' was not changed"
