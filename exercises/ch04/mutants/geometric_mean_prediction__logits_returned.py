# must trigger: not probabilities
def geometric_mean_prediction(logits_per_mask, weights):
    return weights @ logits_per_mask
