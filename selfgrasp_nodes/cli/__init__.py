"""The selfgrasp command: one module a verb."""
