"""Upload of an exported folder to the model hub.

It happens after the export is complete on disk, and only if a repository was named; a failure is one line, and the
folder stays.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # that of whichever client the hub's has

from selfimprove.errors import SelfImproveError


def upload(folder: Path, repo: str, *, public: bool = False) -> str:
    """Upload the folder's files to the model repository `repo`; returns its address.

    A new repository is private unless `public`; an existing one keeps its visibility. Raises `SelfImproveError` if the
    hub refuses or can't be reached.
    """
    hub = HfApi()
    try:
        repo_id = hub.create_repo(repo, private=not public, exist_ok=True).repo_id
        hub.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload a model made by selfimprove")
    except (OSError, ValueError, HTTPError) as error:  # no network, offline mode, no token, no such name, refused
        command = f"hf upload {shlex.quote(repo)} {shlex.quote(str(folder))}{'' if public else ' --private'}"
        cause = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SelfImproveError(
            f"--hub {repo}: not uploaded: {cause}",
            f"The export is in {folder}. Run: hf auth login, then: {command}",
        ) from error
    return f"{hub.endpoint}/{repo_id}"
