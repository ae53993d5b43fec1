"""What `selfimprove env` tells: enough to understand a report, and nothing that names its author or machine."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import pytest

from selfimprove.cli.app import app
from selfimprove.doctor.environment import environment
from selfimprove.host.gpus import Memory
from selfimprove.models.gpus import pretend_gpus
from tests.scripted_gpus import ScriptedGpus


def test_the_report_has_versions_and_machine_and_no_names_or_paths(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFIMPROVE_CACHE", "/somewhere/secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    app(["env", "--json"], standalone_mode=False)
    text = capsys.readouterr().out
    found = json.loads(text)
    assert found["versions"]["python"] == platform.python_version()
    assert {"selfimprove", "torch", "transformers"} <= found["versions"].keys()
    assert found["memory"]["total"] > 0
    assert found["cpu"]["usable"] >= 1
    assert "SELFIMPROVE_CACHE" in found["set"]
    for secret in ("secret", str(Path.home()), str(Path.cwd())):
        assert len(secret) < 4 or secret not in text
    values = json.dumps([value for value in found.values() if not isinstance(value, list)])
    assert f'"{getpass.getuser()}"' not in values
    assert f'"{platform.node()}"' not in values
    app(["env"], standalone_mode=False)
    assert f"{'versions python':<26}{platform.python_version()}" in capsys.readouterr().out


@pytest.mark.gpu_branch
def test_gpus_are_told_with_their_memory() -> None:
    cards = [Memory(free=70 << 30, total=80 << 30)] * 2
    with pretend_gpus(ScriptedGpus(memories=cards)):
        told = [{"name": "Scripted 0", "memory": 80 << 30}, {"name": "Scripted 1", "memory": 80 << 30}]
        assert environment()["gpus"] == told
    with pretend_gpus(ScriptedGpus(memories=cards[:1], torch_sees_them=False)):
        assert environment()["gpus"] == [{"name": "torch can't use it", "memory": 80 << 30}]
