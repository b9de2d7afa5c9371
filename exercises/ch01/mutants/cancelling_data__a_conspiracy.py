# must trigger: here dropout does what its authors hoped
first = torch.tensor([1.0, 2.0, 3.0, 4.0])
x = torch.stack([first, first + 0.1 * torch.tensor([1.0, -1.0, -1.0, 1.0])], 1)
y = 10 * x[:, 0] - 9 * x[:, 1]
