def geometric_mean_prediction(logits_per_mask, weights):
    logs = logits_per_mask.double()
    logs = logs - logs.logsumexp(1, keepdim=True)
    total = sum(float(weight) * row for weight, row in zip(weights, logs))
    powers = (total - total.max()).exp()
    return powers / powers.sum()
