def seed_gamma(height, width, p, block_size):
    rows = range(max(1, height - block_size + 1))
    columns = range(max(1, width - block_size + 1))
    places = [(i, j) for i in rows for j in columns]
    cells = min(height, block_size) * min(width, block_size)
    return p * height * width / (cells * len(places))
