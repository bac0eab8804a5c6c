"""Any method of the `peft` package as a strategy. Counting needs the package, and with it torch."""

from typing import Annotated, Any

from pydantic import AfterValidator

from peftcli.models.anatomy import Anatomy
from peftcli.strategies.registry import strategy
from peftcli.strategies.tuning import Tuning

Type = Annotated[str, AfterValidator(lambda name: name.upper().replace("-", "_"))]


@strategy
def peft(model: Anatomy, type: Type, **settings: Any) -> Tuning:
    """Any method of the `peft` package, by its type (IA3, LORA, VERA, PREFIX_TUNING, …); runs padded.

    Further options are those of the package's configuration of that type, checked against it.
    """
    from peftcli.engine.injection import injection

    return Tuning(injected=injection(model.config, type, settings))
