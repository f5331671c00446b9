from charrnn.inspection.wording import byte_size, number, plural


def test_numbers_are_written_for_people():
    assert byte_size(999) == "999 bytes"
    assert byte_size(1_234_567) == "1.2 MB (1,234,567 bytes)"
    assert byte_size(10**13) == "10000.0 GB (10,000,000,000,000 bytes)"
    assert (plural(1, "line"), plural(2000, "line")) == ("1 line", "2,000 lines")
    assert (number(None), number(0.12345)) == ("-", "0.1235")
