from __future__ import annotations


def message(name, fields, **constants):
    """A message class with exactly these fields: {name: class or factory of its default}."""

    def create(self, **given):
        for field, factory in fields.items():
            object.__setattr__(self, field, factory())
        for field, value in given.items():
            setattr(self, field, value)

    def assign(self, field, value):
        if field not in fields:
            raise AttributeError(f"{name} has no field {field!r}")
        if not isinstance(value, type(getattr(self, field))):
            raise TypeError(f"{name}.{field} takes {type(getattr(self, field))}, not {value!r}")
        object.__setattr__(self, field, value)

    return type(name, (), {"__init__": create, "__setattr__": assign, **constants})
