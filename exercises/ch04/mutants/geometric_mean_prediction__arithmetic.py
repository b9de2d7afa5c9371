# must trigger: this is the arithmetic mean
def geometric_mean_prediction(logits_per_mask, weights):
    return (weights[:, None] * logits_per_mask.softmax(-1)).sum(0)
