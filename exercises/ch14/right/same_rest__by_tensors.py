def same_rest(strength, momentum):
    return torch.tensor(strength, dtype=torch.float64).div(1 - momentum)
