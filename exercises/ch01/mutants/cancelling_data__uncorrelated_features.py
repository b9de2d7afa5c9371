# must trigger: the index hardly moves
x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
y = x[:, 0] + 0.5 * x[:, 1]
