"""Every row of Table 1 that draws or predicts (README.md: how to add one)."""
