from charrnn.inspection.wording import byte_size, number


def test_numbers_are_written_for_people():
    assert byte_size(999) == "999 bytes"
    assert byte_size(1_234_567) == "1.2 MB (1,234,567 bytes)"
    assert byte_size(10**13) == "10000.0 GB (10,000,000,000,000 bytes)"
    assert byte_size(1) == "1 byte"
    assert (number(None), number(0.12345)) == ("-", "0.1235")
