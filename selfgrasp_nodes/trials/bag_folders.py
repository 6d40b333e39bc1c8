"""The rosbag2 folders of a run: finished files go in, a full folder is followed by another."""

from __future__ import annotations

import os
from pathlib import Path

from rosbags.rosbag2.errors import WriterError

from selfgrasp_nodes.trials import recovery
from selfgrasp_nodes.trials.files import sync_folder
from selfgrasp_nodes.trials.mcap import McapFile
from selfgrasp_nodes.trials.metadata import BagFile, BagMetadata, Topic
from selfgrasp_nodes.trials.options import RecorderOptions


class BagFolders:
    """The folder that files go into now, and its metadata.

    Attributes:
        folder: It.
    """

    def __init__(
        self,
        run: Path,
        folder: Path,
        metadata: BagMetadata,
        options: RecorderOptions,
        run_id: str,
    ) -> None:
        """Go on in a folder.

        Args:
            run: The run's folder.
            folder: That a file goes into next.
            metadata: Of the files in it.
            options: Compression, and how many files a folder holds.
            run_id: Of the run.
        """
        self.folder = folder
        self._run, self._metadata, self._options = run, metadata, options
        self._run_id = run_id

    def roll(self, topics: list[Topic]) -> None:
        """Begin another folder where the present one cannot take a file of these topics.

        It is full, or a topic has changed its type or quality of service, or the
        compression is another: all of these are said once a folder.

        Raises:
            OSError: If it cannot be made.
        """
        by_message = self._options.compression == "message"
        if self._metadata.paths and (
            len(self._metadata.paths) >= self._options.trials_per_bag
            or not self._metadata.accepts(topics)
            or self._metadata.compressed_messages != by_message
        ):
            number = recovery.bag_number(self.folder) + 1
            self.folder = recovery.bag_folder(self._run, number)
            self._metadata = BagMetadata()
        self._metadata.compressed_messages = by_message
        self._metadata.custom = {"run_id": self._run_id}
        self.folder.mkdir(exist_ok=True)
        sync_folder(self._run)

    def enter(self, file: McapFile, entry: BagFile) -> None:
        """Rename a closed file into the folder, and then replace the metadata.

        Raises:
            OSError: If either failed; the folder is then as it was before.
        """
        target = self.folder / file.path.name
        metadata = self._metadata.with_file(entry, list(file.topics.values()))
        os.replace(file.path, target)
        try:
            sync_folder(self.folder)
            metadata.save(self.folder)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        self._metadata = metadata


def close_file(file: McapFile) -> BagFile:
    """Finish a file; what the metadata will say of it.

    Raises:
        OSError: If it could not be written.
    """
    try:
        return file.close(file.path.name)
    except WriterError as error:
        raise OSError(str(error)) from error
