"""What a client of any node changes of it: its metadata, and whether it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.client._writing._sending import as_specs, as_wire, send, url_of
from databroker_like.client.context import Context
from databroker_like.client.metadata_update import merged, patch_between
from databroker_like.errors import Invalid, NotFound, listed

__all__ = ["JSON_PATCH", "MERGE_PATCH", "Updating"]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

Patch = list[dict[str, Any]]


class Updating:
    """The part of `BaseClient` that changes a node."""

    if TYPE_CHECKING:
        context: Context

        @property
        def item(self) -> dict[str, Any]: ...
        @property
        def path_parts(self) -> list[str]: ...
        def refresh(self) -> Any: ...

    def update_metadata(
        self,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
        *,
        drop_revision: bool = False,
    ) -> None:
        """Change a part of the metadata; only what becomes different is sent.

        Parameters
        ----------
        metadata : dict, optional
            What is to change, as of `dict.update`, but dictionaries within it are updated in turn. A key whose value is
            `DELETE_KEY` goes.
        specs, access_tags : list, optional
            In place of those that there are.
        drop_revision : bool
            Whether the metadata as it was is forgotten, rather than kept as a revision; False by default.

        Raises
        ------
        NotWritable
            When the server takes no changes.

        Examples
        --------
        What is sent for such an update, which a server for reading does not take:

        >>> from databroker_like.client import DELETE_KEY, Context, from_context
        >>> from databroker_like.nodes import MapNode
        >>> from databroker_like.tree import build_app
        >>> app = build_app(MapNode({}, metadata={"color": "red", "n": 1}), public=True)
        >>> with Context.from_app(app) as context:
        ...     from_context(context).build_metadata_patches({"n": 2, "color": DELETE_KEY})[0]
        [{'op': 'remove', 'path': '/color'}, {'op': 'replace', 'path': '/n', 'value': 2}]
        """
        patches = self.build_metadata_patches(metadata, specs, access_tags)
        if any(patches):
            self.patch_metadata(*patches, drop_revision=drop_revision)

    def build_metadata_patches(
        self,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> tuple[Patch | None, Patch | None, Patch | None]:
        """What `update_metadata` sends, as JSON Patch; nothing is sent.

        Parameters
        ----------
        metadata, specs, access_tags
            As of `update_metadata`.

        Returns
        -------
        tuple
            A list of operations for each of the three; None for those that are not given.
        """
        attributes = self.item["attributes"]
        before = as_wire(attributes.get("metadata") or {})
        patches: list[Patch | None] = [None, None, None]
        if metadata is not None:
            if not isinstance(metadata, Mapping):
                raise Invalid(f"metadata is a dictionary, not {metadata!r:.100}")
            patches[0] = patch_between(before, as_wire(merged(before, metadata)))
        if specs is not None:
            patches[1] = patch_between(as_specs(attributes.get("specs")), as_specs(specs))
        if access_tags is not None:
            patches[2] = patch_between(as_wire(attributes.get("access_tags") or []), as_wire(list(access_tags)))
        return patches[0], patches[1], patches[2]

    def patch_metadata(
        self,
        metadata_patch: Any = None,
        specs_patch: Any = None,
        access_tags_patch: Any = None,
        content_type: str = JSON_PATCH,
        drop_revision: bool = False,
    ) -> None:
        """Change the metadata by a patch.

        Parameters
        ----------
        metadata_patch, specs_patch, access_tags_patch : list of dict, or dict, optional
            JSON Patch (RFC 6902), as ``[{"op": "add", "path": "/color", "value": "red"}]``, or JSON Merge Patch
            (RFC 7386), as ``{"color": "red"}``.
        content_type : {"application/json-patch+json", "application/merge-patch+json"}
            Which of the two it is; JSON Patch by default.
        drop_revision : bool
            As of `update_metadata`.

        Raises
        ------
        Invalid
            When it is another type, or the patch does not fit the metadata.
        NotWritable
            When the server takes no changes.
        """
        if content_type not in (JSON_PATCH, MERGE_PATCH):
            raise Invalid(f"a patch is {listed([JSON_PATCH, MERGE_PATCH])}, not {content_type!r}")
        body = {
            "content-type": content_type,
            "metadata": metadata_patch,
            "specs": specs_patch,
            "access_tags": access_tags_patch,
        }
        # An operation like "add" to the end of a list is not the same when it is done twice.
        self._change_metadata("PATCH", body, drop_revision, repeat=False)

    def replace_metadata(
        self,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
        drop_revision: bool = False,
    ) -> None:
        """Put other metadata in place of all that there is.

        Parameters
        ----------
        metadata : dict, optional
        specs, access_tags : list, optional
            What is not given stays.
        drop_revision : bool
            As of `update_metadata`.

        Raises
        ------
        NotWritable
            When the server takes no changes.
        """
        body = {
            "metadata": metadata,
            "specs": None if specs is None else as_specs(specs),
            "access_tags": None if access_tags is None else list(access_tags),
        }
        # Twice the same leaves the same; but a revision of it would be kept.
        self._change_metadata("PUT", body, drop_revision, repeat=drop_revision)

    def _change_metadata(self, method: str, body: dict[str, Any], drop_revision: bool, *, repeat: bool) -> None:
        params = [("drop_revision", "true")] if drop_revision else []
        url = url_of(self.context, "metadata", self.path_parts)
        send(self.context, method, url, params=params, json=body, repeat=repeat)
        # The server may have changed it further.
        self.refresh()

    def delete(self, recursive: bool = False, external_only: bool = True) -> None:
        """Have the server forget this node.

        Parameters
        ----------
        recursive : bool
            Whether all that is in it goes, too; without it, a container that is not empty stays. False by default.
        external_only : bool
            Whether only nodes go whose data lies in files of somebody else, which stay; True by default. With False,
            data that the server keeps itself is deleted for good.

        Raises
        ------
        Conflict
            When there is something in it, or the server keeps the data itself, and it was not said that this goes.
        NotWritable
            When the server deletes nothing.
        """
        delete_node(self.context, self.path_parts, recursive, external_only)

    def close_stream(self) -> None:
        """Tell those who listen to this node that nothing more comes.

        Raises
        ------
        NotWritable
            When the server has no streams.
        """
        send(self.context, "DELETE", url_of(self.context, "stream/close", self.path_parts))


def delete_node(context: Context, path_parts: Sequence[str], recursive: bool, external_only: bool) -> None:
    """Have the server forget a node; once more, when nobody knows whether it has."""
    params = [("recursive", str(recursive).lower()), ("external_only", str(external_only).lower())]
    doubts: list[bool] = []
    try:
        send(
            context,
            "DELETE",
            url_of(context, "metadata", path_parts),
            params=params,
            doubted=lambda: doubts.append(True),
        )
    except NotFound:
        # It is gone: by the attempt of which nobody knew.
        if not doubts:
            raise
