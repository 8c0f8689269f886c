"""Settings: written, read again, taken from the environment, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ioi_exec import InputError, StateExists, StateMissing
from ioi_exec.node.home import Abci, Chain, Config, Engine, Home, Log, Monitoring, Snapshots, begun, finish

CONFIG = Config(
    Chain("my \"chain\" é \x7f", "shop:Shop", '{"a": [1, "\\n"]}'), Abci("tcp://127.0.0.1:1"), Engine(2, 5, 300, 7, 9, 1),
    Snapshots(1000, 3), Monitoring("tcp://127.0.0.1:2", 5), Log("json", "debug"),
)


def read(text: str, **environment: str) -> Config:
    return Config.read(text, "config.toml", environment)


def test_written_and_read_again(tmp_path: Path) -> None:
    assert read(CONFIG.to_toml()) == CONFIG
    with begun(tmp_path / "deep" / "home") as home:
        with pytest.raises(StateMissing, match="node init"):
            Home(home, {})
        finish(home, CONFIG)
    assert Home(home, {}).config == CONFIG
    assert CONFIG.chain.args() == {"a": [1, "\n"]}


def test_defaults() -> None:
    assert read('[chain]\nid = "x"\nvm = "payments"\n') == Config(Chain("x", "payments"))
    assert Chain("x", "payments").args() is None


def test_the_environment_comes_first() -> None:
    config = read(CONFIG.to_toml(), IOI_NODE_ABCI_LISTEN="unix://a", IOI_NODE_ENGINE_WORKERS="0", IOI_NODE_CHAIN_ID="other", PATH="/bin")
    assert (config.abci.listen, config.engine.workers, config.chain.id) == ("unix://a", 0, "other")
    assert replace(config, abci=CONFIG.abci, engine=CONFIG.engine, chain=CONFIG.chain) == CONFIG


@pytest.mark.parametrize(
    "text, environment, said",
    [
        ("", {}, "chain.id is missing"),
        ('[chain]\nid = "x"\n', {}, "chain.vm is missing"),
        ("[chain", {}, "config.toml: "),
        ("chain = 5", {}, r"write \[chain\]"),
        ("[chains]\n", {}, r"no section \[chains\]"),
        ('[chain]\nid = 5\nvm = "x"', {}, "chain.id is 5: give text"),
        ('[chain]\nid = "x"\nvm = "x"\nname = "y"', {}, "no chain.name"),
        ('[engine]\nworkers = true\n[chain]\nid = "x"\nvm = "x"', {}, "engine.workers is True"),
        ('[engine]\nworkers = -2\n[chain]\nid = "x"\nvm = "x"', {}, "engine.workers is -2: give a whole number from -1 to 256"),
        (CONFIG.to_toml(), {"IOI_NODE_ENGINE_WORKERS": "257"}, "IOI_NODE_ENGINE_WORKERS is 257: give a whole number from -1 to 256"),
        (CONFIG.to_toml(), {"IOI_NODE_ENGINE_KEEP": str(1 << 63)}, f"IOI_NODE_ENGINE_KEEP is {1 << 63}: give a whole number from 0 to "),
        ("x = " + "[" * 100_000, {}, "config.toml: it is nested too deeply"),
        ('[log]\nformat = "xml"\n[chain]\nid = "x"\nvm = "x"', {}, "give one of text, json"),
        (CONFIG.to_toml(), {"IOI_NODE_ENGINE_KEEP": "many"}, "IOI_NODE_ENGINE_KEEP is 'many'"),
        (CONFIG.to_toml(), {"IOI_NODE_ENGINE_KEEP": "-1"}, "IOI_NODE_ENGINE_KEEP is -1"),
        (CONFIG.to_toml(), {"IOI_NODE_ABCI_LISTEN": ""}, "IOI_NODE_ABCI_LISTEN is '': give unix://PATH or tcp://HOST:PORT"),
        ('[abci]\nlisten = "/tmp/x"\n[chain]\nid = "x"\nvm = "x"', {}, "config.toml: abci.listen is '/tmp/x': give unix://PATH or tcp"),
        (CONFIG.to_toml(), {"IOI_NODE_MONITORING_LISTEN": "9100"}, "IOI_NODE_MONITORING_LISTEN is '9100': give unix://PATH"),
        (CONFIG.to_toml(), {"IOI_NODE_ENGINE_HALT_HEIGHT": "-1"}, "IOI_NODE_ENGINE_HALT_HEIGHT is -1"),
        (CONFIG.to_toml(), {"IOI_NODE_LISTEN": "x"}, "IOI_NODE_LISTEN, and no setting is called so"),
    ],
)
def test_settings_that_cannot_be(text: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(text, **environment)


@pytest.mark.parametrize("args", ["5", "{", '"a"'])
def test_arguments_that_cannot_be(args: str) -> None:
    with pytest.raises(InputError, match="chain.vm_args"):
        Chain("x", "y", args).args()


def test_one_that_fails_leaves_no_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("home", "deep/home", "there"):
        with pytest.raises(InputError), begun(tmp_path / name):
            raise InputError("no")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"], "one that was there stays"
    with pytest.raises(InputError), begun(tmp_path / "deep" / "home") as home:
        (home / "state").touch()
        raise InputError("no")
    assert (tmp_path / "deep" / "home" / "state").exists()


def test_a_home_is_made_where_there_is_nothing(tmp_path: Path) -> None:
    with begun(tmp_path) as home:
        assert home == tmp_path
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(StateExists), begun(taken):
            pass
    with pytest.raises(StateMissing):
        Home(tmp_path / "file" / "x", {})
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        Home(tmp_path, {})
