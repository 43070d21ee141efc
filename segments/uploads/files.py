"""Takes an uploaded file in: straight from the connection into settings.FILES, never into memory."""

from pathlib import Path
from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopFutureHandlers, StopUpload

from segments.uploads import jobs as uploads

# What is read and dropped so that the sender hears the answer; beyond it the connection is closed.
_DRAINED = 1024 * 1024 * 1024


class StoredFile(UploadedFile):  # type: ignore[type-arg]  # Django's own class takes none when it runs
    """A file that is in its place already."""

    def __init__(self, *, path: Path, name: str | None, size: int) -> None:
        """Keep where it is."""
        super().__init__(file=None, name=name, size=size)
        self.path = path


class IntoFolder(FileUploadHandler):
    """Writes one file of a form; `too_large` tells that it had more than the limit, and was dropped."""

    def __init__(self, *, limit: int = uploads.MAX_BYTES) -> None:
        """Take the most bytes that a file may have."""
        super().__init__()
        self.limit, self.too_large = limit, False
        self._path: Path | None = None
        self._file: IO[bytes] | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file; only the first one of a form is taken."""
        super().new_file(*args, **kwargs)
        announced = int(self.request.META.get("CONTENT_LENGTH") or 0) if self.request is not None else 0
        if announced > _DRAINED:
            self.too_large = True
            raise StopUpload(connection_reset=True)
        if self._path is not None or self.too_large:
            raise SkipFile
        self._path = uploads.new_file()
        self._path.touch(mode=0o600)
        self._file = self._path.open("wb")
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write what has come."""
        if self._file is None:
            return
        if start + len(raw_data) > self.limit:
            self.too_large = True
            self.drop()
            raise SkipFile
        self._file.write(raw_data)

    def file_complete(self, file_size: int) -> StoredFile | None:
        """End the file."""
        if self._file is None or self._path is None:
            return None
        self._file.close()
        return StoredFile(path=self._path, name=self.file_name, size=file_size)

    def upload_interrupted(self) -> None:
        """Leave nothing of a file whose sender went away."""
        self.drop()

    def drop(self) -> None:
        """Delete what was written."""
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._file = None
