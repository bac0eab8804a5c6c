"""A run's named random streams, and tensors drawn from them as before pre-training."""

import torch

from peftcli.strategies.pretrained import draw, generator, widened


def test_a_stream_is_its_seed_s_and_its_name_s() -> None:
    seeds = [generator(seed, name).initial_seed() for seed, name in ((0, "mask"), (0, "head"), (1, "mask"))]
    assert seeds == [
        1_253_320_674_171_573_688,
        5_948_522_848_898_280_794,
        5_727_072_557_901_501_594,
    ]  # a change of these numbers changes every run that draws


def test_biases_are_zero_gains_one_and_matrices_normal() -> None:
    config, source = {"initializer_range": 0.05, "pad_token_id": 2}, generator(3, "head")
    assert draw("query.bias", torch.full((4,), 9.0), source, config).tolist() == [0.0] * 4
    assert draw("LayerNorm.weight", torch.full((4,), 9.0), source, config).tolist() == [1.0] * 4
    words = draw("embeddings.word_embeddings.weight", torch.empty(300, 40, dtype=torch.float64), source, config)
    assert words.dtype == torch.float64
    assert words[2].tolist() == [0.0] * 40  # the padding's row
    rest = torch.cat([words[:2], words[3:]])
    assert abs(float(rest.std()) - 0.05) < 5 * 0.05 / (2 * rest.numel()) ** 0.5
    assert abs(float(rest.mean())) < 5 * 0.05 / rest.numel() ** 0.5


def test_values_do_not_depend_on_the_precision_and_the_usual_deviation_is_one_fiftieth() -> None:
    # Of a model in bfloat16 too: what is drawn trains, and is not rounded first.
    double, wide, of_narrow = (
        draw("out.weight", torch.empty(200, 50, dtype=dtype), generator(5, "head"), {})
        for dtype in (torch.float64, torch.float32, torch.bfloat16)
    )
    assert (double.dtype, wide.dtype) == (torch.float64, torch.float32)
    assert torch.equal(double.float(), wide)
    assert torch.equal(of_narrow, wide)
    assert abs(float(wide.std()) - 0.02) < 5 * 0.02 / 20_000**0.5


def test_what_starts_to_train_has_the_file_s_values_in_float32_at_least() -> None:
    values = torch.tensor([1.0, -0.0390625, 3e-5]).bfloat16()
    assert widened(values).dtype == torch.float32
    assert torch.equal(widened(values).bfloat16(), values)
    for wide in (torch.randn(3), torch.randn(3, dtype=torch.float64)):
        assert widened(wide) is wide
    for name in ("query.bias", "LayerNorm.weight"):
        assert draw(name, values, generator(1, "head"), {}).dtype == torch.float32
