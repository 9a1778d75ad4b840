"""Ask canaries: queries whose answers are known, and answers that must never be given.

A run asks a collection all of them; a comparison holds two runs against each other; the gate says
why the second may not take the first one's place. Nothing here changes an index.
"""

from ragguard.canary.ask import judged as judged
from ragguard.canary.ask import run as run
from ragguard.canary.comparison import Comparison as Comparison
from ragguard.canary.comparison import compare as compare
from ragguard.canary.comparison import gate as gate
from ragguard.canary.result import Run as Run
from ragguard.canary.sets import Canaries as Canaries
from ragguard.canary.sets import Forbidden as Forbidden
from ragguard.canary.sets import in_force as in_force
from ragguard.canary.sets import keep as keep
from ragguard.canary.sets import merge as merge
from ragguard.canary.sets import touched as touched
from ragguard.canary.suggestions import SuggestedQueries as SuggestedQueries
from ragguard.canary.suggestions import suggest as suggest
