def needs_more_steps(train):
    late = train(0.8, 2400)
    d = torch.stack([late - train(0.8, 800), train(0.5, 2400) - late])
    gains, behind = d.mean(1) > 2.2 * d.std(1) / d.shape[1] ** 0.5
    return gains & ~behind
