"""The models with an alias: each is described, and its config is had from the table alone."""

from peftcli.models import catalogue, published
from peftcli.models.families import FAMILIES


def test_every_published_model_has_a_line_that_describes_it() -> None:
    assert list(published.DESCRIPTIONS) == list(published.PUBLISHED_SIZES)


def test_configs_are_had_without_a_network_or_a_cache() -> None:
    # The table is looked at before any cache.
    for model, sizes in published.PUBLISHED_SIZES.items():
        assert catalogue.config(model) == sizes
        assert sizes["model_type"] in FAMILIES
