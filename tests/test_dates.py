"""Strings as feeds send them, and the instant each must give, or none."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from superfeed import parse_date

DATES = [
    # RFC 822 and 5322
    ("Mon, 18 Nov 2019 19:19:26 +0000", "2019-11-18T19:19:26Z"),
    ("Tue, 21 Jul 2020 21:19:07 GMT", "2020-07-21T21:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 UT", "2020-07-21T21:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 UTC", "2020-07-21T21:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 Z", "2020-07-21T21:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 EST", "2020-07-22T02:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 EDT", "2020-07-22T01:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07EDT", "2020-07-22T01:19:07Z"),
    ("2020-07-21T21:19:07EDT", "2020-07-22T01:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 CST", "2020-07-22T03:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 CDT", "2020-07-22T02:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 MST", "2020-07-22T04:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 MDT", "2020-07-22T03:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 PST", "2020-07-22T05:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 PDT", "2020-07-22T04:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 A", "2020-07-21T21:19:07Z"),  # military: unknown, RFC 5322
    ("Tue, 21 Jul 2020 21:19:07 Y", "2020-07-21T21:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 BST", "2020-07-21T20:19:07Z"),
    ("Tue, 21 Jan 2020 21:19:07 CET", "2020-01-21T20:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 CEST", "2020-07-21T19:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 MESZ", "2020-07-21T19:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 EEST", "2020-07-21T18:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 MSK", "2020-07-21T18:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 IST", "2020-07-21T15:49:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 JST", "2020-07-21T12:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 AEST", "2020-07-21T11:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07 XYZ", "2020-07-21T21:19:07Z"),
    ("Tue, 21 Jul 2020 21:19:07", "2020-07-21T21:19:07Z"),
    ("2020-03-02T10:00:00+00:00Z", "2020-03-02T10:00:00Z"),  # isoformat() + "Z"
    ("ven, 03/05/2019", "2019-05-03T00:00:00Z"),  # a Friday
    ("FRI, 05/03/2019", "2019-05-03T00:00:00Z"),
    ("Tue, 21 Jul 2020 21:19:07 -0430", "2020-07-22T01:49:07Z"),
    ("Thu, 02 Jul 2015 12:33:53 +01:00", "2015-07-02T11:33:53Z"),
    ("Thu, 02 Jul 2015 12:33:53 GMT+0200", "2015-07-02T10:33:53Z"),
    ("Thu, 02 Jul 2015 12:33:53 GMT+2", "2015-07-02T10:33:53Z"),
    ("Thu, 02 Jul 2015 12:33:53 +0200 (CEST)", "2015-07-02T10:33:53Z"),
    ("Tue, 07 Oct 2025 12:00:00 &#43;0000", "2025-10-07T12:00:00Z"),
    ("Wed, 03 Jan 2018 14:11:52 GMT\r\n      ", "2018-01-03T14:11:52Z"),
    ("Tue,  9 Mar 2021 05:09:40 +0000", "2021-03-09T05:09:40Z"),
    ("Fri, 21 Jul 2023 09:04 EDT", "2023-07-21T13:04:00Z"),
    ("21 Jul 2023 09:04:05 +0000", "2023-07-21T09:04:05Z"),
    ("21 July 2023", "2023-07-21T00:00:00Z"),
    ("Tue, 15 Sept 2020 10:00:00 EST", "2020-09-15T15:00:00Z"),
    ("Friday, 21-Jul-23 09:04:05 GMT", "2023-07-21T09:04:05Z"),
    ("01 Jan 99 00:00:00 GMT", "1999-01-01T00:00:00Z"),
    ("Sun, 20 Apr 2014 8:19 pm CEST", "2014-04-20T18:19:00Z"),
    ("Sun, 20 Apr 2014 12:19 am", "2014-04-20T00:19:00Z"),
    # ISO 8601
    ("2016-02-01T17:54:50+01:00", "2016-02-01T16:54:50Z"),
    ("2025-02-20T00:00:00Z", "2025-02-20T00:00:00Z"),
    ("2025-02-20t10:00:00z", "2025-02-20T10:00:00Z"),
    ("2025-06-17T18:34:45.000Z", "2025-06-17T18:34:45Z"),
    ("2006-03-17T20:38:18.009970-05:00", "2006-03-18T01:38:18.009970Z"),
    ("2021-01-02T03:04:05.123456789Z", "2021-01-02T03:04:05.123456Z"),
    ("2021-01-02T03:04:05,5+00", "2021-01-02T03:04:05.500000Z"),
    ("2012-11-13T14:36:22", "2012-11-13T14:36:22Z"),
    ("2000-01-01T12:00+00:00", "2000-01-01T12:00:00Z"),
    ("2014-01-01T10:00:00+0530", "2014-01-01T04:30:00Z"),
    ("2014-01-01T10:00:00\u221205:00", "2014-01-01T15:00:00Z"),
    ("2014-01-01T10:00:00+01:00[Europe/Paris]", "2014-01-01T09:00:00Z"),
    ("20200110T143300Z", "2020-01-10T14:33:00Z"),
    ("20200110", "2020-01-10T00:00:00Z"),
    ("2019-08-27", "2019-08-27T00:00:00Z"),
    ("2019-05-18-05:00", "2019-05-18T05:00:00Z"),  # an XML Schema date with its zone
    ("2022-09-03 09:37:11+03:00", "2022-09-03T06:37:11Z"),
    ("2019-05-18 10:58:46 +0300", "2019-05-18T07:58:46Z"),
    ("2022-07-26 13:01:01 UTC", "2022-07-26T13:01:01Z"),
    ("2014-11-24 12:08 PM", "2014-11-24T12:08:00Z"),
    # what people and their templates write
    ("07.02.2025", "2025-02-07T00:00:00Z"),
    ("22.11.2022 12:16:00", "2022-11-22T12:16:00Z"),
    ("10-04-2020 19:00 +0400", "2020-04-10T15:00:00Z"),
    ("2020/1/10", "2020-01-10T00:00:00Z"),
    ("2020/1/10 14:33:00", "2020-01-10T14:33:00Z"),
    ("Fri, 05/03/2019 - 15:21", "2019-05-03T15:21:00Z"),  # 5 March was a Tuesday
    ("Tue, 05/03/2019 - 15:21", "2019-03-05T15:21:00Z"),
    ("03/05/2019 - 15:21 (Fri)", "2019-05-03T15:21:00Z"),
    ("03/05/2019 03:21 PM", "2019-03-05T15:21:00Z"),
    ("03/25/2019", "2019-03-25T00:00:00Z"),
    ("25/03/2019", "2019-03-25T00:00:00Z"),
    ("09/02/2013", "2013-09-02T00:00:00Z"),
    ("Friday, January 29, 2021 04:42 PM", "2021-01-29T16:42:00Z"),
    ("January 29th, 2021", "2021-01-29T00:00:00Z"),
    ("Sat, Dec 16 2023 02:02:33 PM", "2023-12-16T14:02:33Z"),
    ("Fri Jan 29 16:42:00 2021", "2021-01-29T16:42:00Z"),
    ("Fri Jan 29 16:42:00 UTC 2021", "2021-01-29T16:42:00Z"),
    ("mer, 16 nov 2022", "2022-11-16T00:00:00Z"),
    ("Seg, 24 Set 2018", "2018-09-24T00:00:00Z"),
    ("segunda-feira, 4 de fevereiro de 2019", "2019-02-04T00:00:00Z"),
    ("2. März 2020", "2020-03-02T00:00:00Z"),
    ("vendredi 5 avril 2019 à 10h30", "2019-04-05T10:30:00Z"),
    ("Пн, 12 мая 2025 10:00:00 +0300", "2025-05-12T07:00:00Z"),
    ("2019年5月3日", "2019-05-03T00:00:00Z"),
    ("1577836800", "2020-01-01T00:00:00Z"),
    ("1577836800000", "2020-01-01T00:00:00Z"),
    ("Fri, 01 Jan 2990 00:00:00 GMT", "2990-01-01T00:00:00Z"),  # the caller clamps the future
    # no date
    ("", None),
    ("  ", None),
    ("yesterday", None),
    ("Sunday", None),
    ("2 hours ago", None),
    ("now", None),
    ("12", None),
    ("12:30", None),
    ("2024", None),
    ("202411", None),
    ("2024112", None),
    ("March 2021", None),
    ("Jan 5", None),
    ("T00:00:00-05:00", None),
    ("0000-00-00", None),
    ("0000-00-00 00:00:00", None),
    ("0000-00-00T00:00:00Z", None),
    ("Mon, 01 Jan 0001 00:00:00 +0000", None),
    ("0001-01-01T00:00:00Z", None),
    ("Wed, 30 Nov -0001 00:00:00 +0000", None),
    ("Thu, 01 Jan 1970 00:00:00 GMT", None),
    ("1989-12-31", None),
    ("2021-02-30", None),
    ("2021-13-01", None),
    ("Fri, 32 Jan 2021 10:00:00 GMT", None),
    ("Fri, 29 Jan 2021 25:00:00 GMT", None),
    ("9999-12-31T23:59:59-05:00", None),
    ("ddd, dd MMM yyyy HH:mm:ss", None),
    ("Invalid Date 2020", None),
    ("x" * 100_000 + "2020-01-01", None),
    ("1" * 5000, None),
]


def instant(text):
    return text and datetime.fromisoformat(text)


@pytest.mark.parametrize(("raw", "expected"), DATES, ids=[raw[:40] for raw, _ in DATES])
def test_a_string_gives_its_instant_or_none(raw, expected):
    assert parse_date(raw) == instant(expected)


@pytest.mark.parametrize(
    ("raw", "language", "expected"),
    [
        ("09/02/2013", "en-US", "2013-09-02"),
        ("09/02/2013", "en_US", "2013-09-02"),
        ("09/02/2013", "en-GB", "2013-02-09"),
        ("09/02/2013", "it", "2013-02-09"),
        ("5 août 2019", "fr-FR", "2019-08-05"),
        ("12 päivä", "fi", None),
        ("12 elokuuta 2019", "fi", "2019-08-12"),
        ("2019년 5월 3일", "ko", "2019-05-03"),
        ("24 Set 2018", "nonsense", "2018-09-24"),
        ("24 Set 2018", "pt_BR", "2018-09-24"),
    ],
)
def test_the_feeds_language_decides_what_the_string_leaves_open(raw, language, expected):
    expected = expected and datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert parse_date(raw, language) == expected


def test_every_date_is_aware_and_utc():
    for raw, expected in DATES:
        if expected:
            assert parse_date(raw).tzinfo == UTC, raw


def test_what_the_standard_library_writes_is_read_back():
    zone = timezone(timedelta(hours=-9, minutes=-30))
    for day in range(0, 4000, 97):
        moment = datetime(2019, 12, 31, 23, 59, 58, tzinfo=zone) + timedelta(days=day)
        assert parse_date(moment.isoformat()) == moment
        assert parse_date(moment.strftime("%a, %d %b %Y %H:%M:%S %z")) == moment


def test_a_hundred_different_bad_strings_cost_no_second():
    parse_date("warm up 1")
    start = time.process_time()
    for number in range(100):
        assert parse_date(f"issue {number} of volume {number}") is None
    assert time.process_time() - start < 1
