"""The recipe of In-the-Wild."""

FOLDER = "In-the-Wild/release_in_the_wild"


def test_rows_follow_the_list(prepare, reasons):
    """Guards against names with blanks and commas, and against rows for missing or truncated clips."""
    lines = ["file,speaker,label", "10.wav,Alec Guinness,spoof", '0.wav,"King, Martin Luther",bona-fide']
    lines += ["1.wav,Bernie Sanders,bona-fide", "broken.wav,Bernie Sanders,spoof"]
    audio = [f"{FOLDER}/{name}.wav" for name in ("0", "10", "broken", "99")]
    rows, report = prepare("In-the-Wild", audio, {f"{FOLDER}/meta.csv": "\n".join(lines)})
    assert rows == [
        ("ItW-10", "fake", "-", "Alec Guinness", "-", "EN"),
        ("ItW-0", "real", "-", "King, Martin Luther", "-", "EN"),
    ]
    assert reasons(report)["1.wav"] == "no such file" and "truncated" in reasons(report)["broken.wav"]
    assert report.unlisted == [f"$ROOT/{FOLDER}/99.wav"]
