# must trigger: the products do not add up to 1
def geometric_mean_prediction(logits_per_mask, weights):
    return (weights[:, None] * logits_per_mask.log_softmax(-1)).sum(0).exp()
