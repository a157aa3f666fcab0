"""The command ``antideepfake``: one module a verb."""
