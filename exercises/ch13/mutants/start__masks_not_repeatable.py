# must trigger: Seed once more, after build()
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    network = build()
    torch.seed()
    return network
