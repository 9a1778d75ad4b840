from typing import Any

D50: tuple[float, float, float]
D65: tuple[float, float, float]

def parse_color(css: Any, color_schemes: Any = ...) -> Any: ...
