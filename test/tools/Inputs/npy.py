"""Prints what a float32 .npy file holds: `ROWSxCOLUMNS`, then the column of each row's largest value, comma-separated."""
import array
import ast
import sys


def load(path):
    """The rows, as arrays of floats."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    header_end = 10 + int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10:header_end].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    rows, columns = header["shape"]
    values = array.array("f", data[header_end:])
    assert len(values) == rows * columns, (len(values), rows, columns)
    return [values[i * columns:(i + 1) * columns] for i in range(rows)]


if __name__ == "__main__":
    table = load(sys.argv[1])
    columns = len(table[0])
    print(f"{len(table)}x{columns}")
    print(",".join(str(max(range(columns), key=row.__getitem__)) for row in table))
