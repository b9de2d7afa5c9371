def decide(training, new, wrong):
    return torch.tensor(training / (new * (1 - wrong))) > 1.18
