"""Old names: they work for one more version."""

import importlib

import pytest

from antideepfake.deprecated import MOVED, RENAMED

OLD = [(room, name) for room, names in RENAMED.items() for name in names]
OLD += [(room, name) for room, homes in MOVED.items() for names in homes.values() for name in names.split()]


@pytest.mark.parametrize(("room", "name"), OLD)
def test_an_old_name_warns_and_is_the_new_object(room, name):
    with pytest.warns(DeprecationWarning, match=f"antideepfake.{room}.{name} is now antideepfake."):
        found = getattr(importlib.import_module(f"antideepfake.{room}"), name)
    home = RENAMED.get(room, {}).get(name) or next(
        f"{home}.{name}" for home, names in MOVED[room].items() if name in names.split()
    )
    module, _, new = home.rpartition(".")
    assert found is getattr(importlib.import_module(f"antideepfake.{module}"), new)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("antideepfake.scoring").nothing  # noqa: B018
