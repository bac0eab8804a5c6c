"""The words on axes: what a metric is called, with its unit."""

METRICS = {
    "accuracy": "accuracy (%)",
    "f1": "F1 (%)",
    "f1_macro": "macro F1 (%)",
    "f1_micro": "micro F1 (%)",
    "entity_f1": "entity F1 (%)",
    "mean_accuracy_f1": "mean of accuracy and F1 (%)",
    "matthews": "Matthews correlation (× 100)",
    "pearson": "Pearson correlation (× 100)",
    "spearman": "Spearman correlation (× 100)",
    "mean_pearson_spearman": "mean of Pearson and Spearman (× 100)",
}
SHORT = {
    "mean_accuracy_f1": "acc. & F1 (%)",
    "matthews": "Matthews (× 100)",
    "pearson": "Pearson (× 100)",
    "spearman": "Spearman (× 100)",
    "mean_pearson_spearman": "Pearson & Spearman (× 100)",
}
MODULES = {
    "multihead": "multi-head attention",
    "feedforward": "feed-forward",
    "layernorm_attention": "LayerNorm behind attention",
    "layernorm_ffn": "LayerNorm behind feed-forward",
}


def axis(metric: str) -> str:
    """Name a metric's axis, its unit in brackets; records hold fractions, figures show them times 100."""
    return METRICS.get(metric, f"{metric.replace('_', ' ')} (× 100)")


def short(metric: str) -> str:
    """Name a metric where there is little room."""
    return SHORT.get(metric, axis(metric))
