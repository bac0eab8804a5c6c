"""Claims worked out by hand: arithmetic on numbers copied from the papers' tables."""

# By hand, step by step: numbers from the papers' tables (not the CSVs beside the recipes), what they come to, and the line.
BY_HAND: dict[str, list[tuple[bool, str]]] = {
    "BitFit's best learning rate gains 3 points over full fine-tuning's only one on CoLA, and 0.1 on SST-2": [
        (round(max(52.6, 53.9, 53.6) - 50.9, 1) >= 3.0, "CoLA: BitFit 5e-4 53.9, Full 3e-5 50.9 (+3.0)"),
        (round(max(89.8, 89.3, 89.6) - 89.7, 1) >= 0.1, "SST-2: BitFit 1e-4 89.8, Full 3e-5 89.7 (+0.1)"),
    ],
    # A constant answer scores 0 on CoLA, and on SST-2 what the larger class has: 444 of 872 examples.
    "BitFit from biases of zero learns CoLA and SST-2, at learning rates from 1e-4 to 1e-3": [
        (33.3 - 0 > 2 * 4.9, "CoLA: InitBias+BitFit 1e-4 33.3±4.9, majority class 0.0"),
        (42.9 - 0 > 2 * 13.9, "CoLA: InitBias+BitFit 5e-4 42.9±13.9, majority class 0.0"),
        (48.8 - 0 > 2 * 14.0, "CoLA: InitBias+BitFit 1e-3 48.8±14.0, majority class 0.0"),
        (88.7 - 44400 / 872 > 2 * 0.2, "SST-2: InitBias+BitFit 1e-4 88.7±0.2, majority class 50.9"),
        (90.1 - 44400 / 872 > 2 * 0.5, "SST-2: InitBias+BitFit 5e-4 90.1±0.5, majority class 50.9"),
        (85.4 - 44400 / 872 > 2 * 3.5, "SST-2: InitBias+BitFit 1e-3 85.4±3.5, majority class 50.9"),
    ],
    "the feed-forward layers alone are on average comparable with full fine-tuning (within 0.5 points)": [
        (round(82.8 - 82.5, 1) <= 0.5, "Avg.: Feed-Forward 82.5, Full-FT 82.8 (-0.3)")
    ],
    # The best of layers 5 to 8 in Table 3 beside all LayerNorms in Table 1.
    "the LayerNorms of one middle layer are comparable with those of all layers (within 3 points), task by task": [
        (round(52.8 - max(46.1, 47.0, 47.0, 48.1), 1) <= 3, "CoLA: #8 48.1, LayerNorms 52.8 (-4.7)"),
        (round(91.0 - max(89.0, 88.8, 87.5, 86.1), 1) <= 3, "MRPC: #5 89.0, LayerNorms 91.0 (-2.0)"),
        (round(88.4 - max(86.7, 87.1, 86.9, 87.2), 1) <= 3, "STS-B: #8 87.2, LayerNorms 88.4 (-1.2)"),
        (round(70.2 - max(65.2, 64.1, 67.3, 67.5), 1) <= 3, "RTE: #8 67.5, LayerNorms 70.2 (-2.7)"),
    ],
    "no parameter-efficient method reaches full fine-tuning on CoLA and SST-2": [
        (round(0.67 - 0.57, 2) > 0, "CoLA: Full Fine-tuning 0.67, Full BitFit 0.57 (+0.10)"),
        (round(0.95 - 0.92, 2) > 0, "SST-2: Full Fine-tuning 0.95, Full BitFit 0.92 (+0.03)"),
        (max(0.64, 0.61) < 0.67, "CoLA: Full Fine-tuning 0.67, Full LoRA-I 0.64 (+0.03)"),
        (max(0.93, 0.93) < 0.95, "SST-2: Full Fine-tuning 0.95, Full LoRA-I 0.93 (+0.02)"),
        (max(0.62, 0.63, 0.62, 0.64, 0.64, 0.63) < 0.67, "CoLA: Full Fine-tuning 0.67, SPAFIT-4-9-I 0.64 (+0.03)"),
        (max([0.93] * 6) < 0.95, "SST-2: Full Fine-tuning 0.95, SPAFIT-8-12-I 0.93 (+0.02)"),
    ],
    # Higher on one task, equal on six, lower on two (MNLI and RTE).
    "SPAFIT-4-9-I is better than SPAFIT-4-9-II on STS-B alone": [
        (round(0.91 - 0.90, 2) > 0, "STS-B: SPAFIT-4-9-I 0.91, SPAFIT-4-9-II 0.90 (+0.01)"),
        (round(0.64 - 0.64, 2) >= 0, "CoLA: SPAFIT-4-9-II 0.64, SPAFIT-4-9-I 0.64 (+0.00)"),
        (round(0.87 - 0.86, 2) >= 0, "MNLI: SPAFIT-4-9-II 0.87, SPAFIT-4-9-I 0.86 (+0.01)"),
        (round(0.92 - 0.92, 2) >= 0, "MRPC: SPAFIT-4-9-II 0.92, SPAFIT-4-9-I 0.92 (+0.00)"),
        (round(0.92 - 0.92, 2) >= 0, "QNLI: SPAFIT-4-9-II 0.92, SPAFIT-4-9-I 0.92 (+0.00)"),
        (round(0.91 - 0.91, 2) >= 0, "QQP: SPAFIT-4-9-II 0.91, SPAFIT-4-9-I 0.91 (+0.00)"),
        (round(0.76 - 0.74, 2) >= 0, "RTE: SPAFIT-4-9-II 0.76, SPAFIT-4-9-I 0.74 (+0.02)"),
        (round(0.93 - 0.93, 2) >= 0, "SST-2: SPAFIT-4-9-II 0.93, SPAFIT-4-9-I 0.93 (+0.00)"),
        (round(0.56 - 0.56, 2) >= 0, "WNLI: SPAFIT-4-9-II 0.56, SPAFIT-4-9-I 0.56 (+0.00)"),
    ],
}
