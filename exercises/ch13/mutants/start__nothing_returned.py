# must trigger: start must return the network
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    build()
    torch.manual_seed(1_000_000 + 64 * seed + rank)
