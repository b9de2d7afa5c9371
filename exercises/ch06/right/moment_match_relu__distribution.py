def moment_match_relu(v, weight, p):
    terms = (weight * v).double()
    mean = terms.sum(1) * (1 - p)
    sigma = (terms**2).sum(1).mul(p * (1 - p)).sqrt()
    answer = torch.relu(mean)
    varies = sigma > 0
    if varies.any():
        normal = torch.distributions.Normal(0.0, 1.0)
        z = mean[varies] / sigma[varies]
        answer[varies] = mean[varies] * normal.cdf(z) + sigma[varies] * normal.log_prob(z).exp()
    return answer
