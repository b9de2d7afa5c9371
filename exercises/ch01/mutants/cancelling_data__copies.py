# must trigger: the columns of x depend on each other
x = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
y = 2 * x[:, 0]
