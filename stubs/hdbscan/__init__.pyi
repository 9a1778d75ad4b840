from typing import Any

class HDBSCAN:
    outlier_scores_: Any
    labels_: Any
    def __init__(self, **kwargs: Any) -> None: ...
    def fit(self, x: Any) -> HDBSCAN: ...
