"""How numbers are said in a sentence below a figure."""


def measured(value, low, high, digits=2) -> str:
    """0.88 [0.60, 1.19]."""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def signed(value, low, high, digits=3) -> str:
    """+0.041 [+0.022, +0.061]."""
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def listed(parts) -> str:
    """a, b and c."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
