# must trigger: each enters with its weight as the exponent
def geometric_mean_prediction(logits_per_mask, weights):
    return logits_per_mask.sum(0).softmax(-1)
