# must trigger: this is the ReLU of the mean
def moment_match_relu(v, weight, p):
    return torch.relu((1 - p) * (weight @ v))
