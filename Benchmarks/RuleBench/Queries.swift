/// A statement, and the nanoseconds that an evaluation may take with the small and with the large payload.
struct Query {
    let name: String
    let sql: String
    let small: Double?
    let large: Double?

    static let all = [
        Query("star", "SELECT * FROM \"t/#\"", 400, 900),
        Query("path", "SELECT payload.temp as t, clientid FROM \"t/#\" WHERE payload.temp > 30", 250, 900),
        Query(
            "paths",
            "SELECT payload.device.id as id, upper(topic) as tp, payload.readings[1].v * 2 + 1 as v FROM \"t/#\" "
                + "WHERE payload.device.kind = 'sensor' and topic =~ 't/+/x'", 600, 1_500),
        Query(
            "foreach", "FOREACH payload.readings as r DO r.v as v, clientid INCASE r.v > 10 FROM \"t/#\"", 900, 6_000),
        Query(
            "case",
            "SELECT case when payload.temp > 40 then 'hot' when payload.temp > 20 then 'warm' else 'cold' end as level, "
                + "nth(2, split(topic, '/')) as dev FROM \"t/#\" WHERE regex_match(clientid, '^c[0-9]+$')", 1_000, 2_000
        ),
        Query("false", "SELECT payload.temp as t, clientid FROM \"t/#\" WHERE payload.temp > 1000", nil, nil),
    ]

    init(_ name: String, _ sql: String, _ small: Double?, _ large: Double?) {
        self.name = name
        self.sql = sql
        self.small = small
        self.large = large
    }
}
