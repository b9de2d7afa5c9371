def split_entropy(passes):
    # the disagreement is the mean divergence of the passes from their mean
    mean = passes.mean(0)
    apart = torch.xlogy(passes, passes) - torch.xlogy(passes, mean.expand_as(passes))
    disagreement = apart.sum(-1).mean(0)
    expected = -torch.xlogy(passes, passes).sum(-1).mean(0)
    return [expected + disagreement, expected, disagreement]
