# must trigger: leave room for 64 ranks
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(1_000_000 + 63 * seed + rank)
    return network
