"""How a trained model leaves its run: as a folder in half precision, with card and manifest, that others can open.

`folder` writes any model so, `finished` opens one arm of a finished run or a shipped one, `command` is `python -m namd
ship`, `card` what it tells people."""
