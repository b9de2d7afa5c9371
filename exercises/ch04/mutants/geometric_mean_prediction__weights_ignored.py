# must trigger: every mask counts alike here
def geometric_mean_prediction(logits_per_mask, weights):
    return logits_per_mask.mean(0).softmax(-1)
