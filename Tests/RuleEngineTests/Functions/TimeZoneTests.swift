import RuleEngine
import Testing

@Suite struct `Time zones` {
    /// At the changes of the clock: the last second before, the first second after, and years beyond the file's table.
    static let offsets: [(zone: String, moment: Int, offset: String)] = [
        ("Europe/Berlin", 1_711_846_799, "+01:00"), ("Europe/Berlin", 1_711_846_800, "+02:00"),
        ("Europe/Berlin", 1_729_990_799, "+02:00"), ("Europe/Berlin", 1_729_990_800, "+01:00"),
        ("Europe/Berlin", 2_531_955_599, "+01:00"), ("Europe/Berlin", 2_531_955_600, "+02:00"),
        ("Europe/Berlin", 4_088_782_800, "+02:00"),
        ("America/New_York", 1_710_053_999, "-05:00"), ("America/New_York", 1_710_054_000, "-04:00"),
        ("America/New_York", 4_090_000_000, "-04:00"), ("America/St_Johns", 1_700_000_000, "-03:30"),
        ("Australia/Sydney", 1_700_000_000, "+11:00"), ("Australia/Sydney", 4_086_000_000, "+10:00"),
        ("Australia/Sydney", 4_070_908_800, "+11:00"), ("Australia/Lord_Howe", 1_712_413_799, "+11:00"),
        ("Australia/Lord_Howe", 1_712_415_600, "+10:30"), ("Asia/Kathmandu", 1_700_000_000, "+05:45"),
        ("Asia/Kolkata", 4_102_444_800, "+05:30"), ("Europe/Dublin", 1_720_000_000, "+01:00"),
        ("Africa/Casablanca", 1_700_000_000, "+01:00"), ("Etc/GMT+5", 0, "-05:00"), ("UTC", 0, "+00:00"),
        ("Asia/Tokyo", -3_000_000_000, "+09:18"),
    ]

    @Test(arguments: offsets) func `a zone has the offset of the moment`(
        zone: String, moment: Int, offset: String
    ) throws {
        #expect(try value("format_date('second', '\(zone)', '%:z', \(moment))") == "\"\(offset)\"")
    }

    static let locals: [(zone: String, local: String, moment: Int)] = [
        // Twice on the clock: the first of both.
        ("Europe/Berlin", "2024-10-27 02:30:00", 1_729_989_000),
        ("America/New_York", "2024-11-03 01:30:00", 1_730_611_800),
        // Never on the clock: as if it had not been changed.
        ("Europe/Berlin", "2024-03-31 02:30:00", 1_711_848_600),
        ("America/New_York", "2024-03-10 02:30:00", 1_710_055_800),
        ("Europe/Berlin", "2024-03-31 01:59:59", 1_711_846_799),
        ("Europe/Berlin", "2024-03-31 03:00:00", 1_711_846_800),
        ("Europe/Berlin", "2024-07-01 00:00:00", 1_719_784_800),
        ("Pacific/Apia", "2011-12-31 00:00:00", 1_325_239_200),
        ("Asia/Shanghai", "1970-01-01 08:00:00", 0),
    ]

    @Test(arguments: locals) func `a local time of a zone is a moment`(
        zone: String, local: String, moment: Int
    ) throws {
        let text = "date_to_unix_ts('second', '\(zone)', '%Y-%m-%d %H:%M:%S', '\(local)')"
        #expect(try value(text) == "\(moment)")
    }

    @Test(arguments: [
        "Europe/Nowhere", "europe/berlin", "../etc/passwd", "/etc/passwd", "Europe/../Europe/Berlin", "Europe", "",
        "zone.tab", "posixrules/x", "GMT0/",
    ])
    func `a name that is no zone raises`(name: String) throws {
        #expect(try value("timezone_to_offset_seconds('\(name)')") == "bad_argument")
    }

    @Test func `a zone counts with the time of the evaluation`() throws {
        let bench = RuleBench()
        bench.context.nowNanoseconds = 1_720_000_000_000_000_000
        let sql = "SELECT timezone_to_offset_seconds('Europe/Berlin') as r FROM \"t/#\""
        #expect(try bench.run(sql) == .rows([#"{"r":7200}"#]))
        bench.context.nowNanoseconds = 1_700_000_000_000_000_000
        #expect(try bench.run(sql) == .rows([#"{"r":3600}"#]))
    }

    private func value(_ expression: String) throws -> String {
        switch try RuleBench().run("SELECT \(expression) as r FROM \"t/#\"") {
        case .rows(let rows): String(rows.joined().dropFirst(5).dropLast(1))
        case .failed(let name): name
        case .noResult: "no result"
        case .rejected(let codes): "rejected: \(codes)"
        }
    }
}
