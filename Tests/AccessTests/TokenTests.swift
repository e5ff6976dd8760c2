import Access
import Testing

struct TokenTests {
    private static let hs256 =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    private static let set =
        #"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#
    /// RFC 7515 A.2.
    private static let rs256 =
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    private static let rsaSet =
        #"{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#
    /// RFC 7515 A.3.
    private static let es256 =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    private static let ecSet =
        #"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"1"}]}"#

    private func keys(_ text: String) throws -> TokenKeySet { try TokenKeySet(json: Array(text.utf8)) }

    @Test(arguments: [(hs256, set), (rs256, rsaSet), (es256, ecSet)])
    func `the tokens of RFC 7515 are verified, before their expiry alone`(token: String, keySet: String) throws {
        let keys = try keys(keySet)
        #expect(keys.claims(of: Array(token.utf8), now: 1_300_819_379)?["iss"] == .text("joe"))
        #expect(keys.claims(of: Array(token.utf8), now: 1_300_819_380) == nil)
    }

    @Test(arguments: [(hs256, rsaSet), (rs256, ecSet), (es256, set)])
    func `a key of another kind verifies nothing`(token: String, keySet: String) throws {
        #expect(try keys(keySet).claims(of: Array(token.utf8), now: 1) == nil)
    }

    @Test func `every changed letter breaks a token`() throws {
        let keys = try keys(Self.set)
        let token = Array(Self.hs256.utf8)
        for index in token.indices {
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(keys.claims(of: changed, now: 1) == nil, "at \(index)")
        }
        for length in 0..<token.count { #expect(keys.claims(of: Array(token[..<length]), now: 1) == nil) }
    }

    @Test(arguments: [
        // {"alg":"none"}.{"sub":"x"}. and its spellings
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "eyJhbGciOiJOb25lIn0.eyJzdWIiOiJ4In0.", "..", "a.b.c", "",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.",
    ])
    func `a token without a signature is none`(token: String) throws {
        #expect(try keys(Self.set).claims(of: Array(token.utf8), now: 1) == nil)
        #expect(TokenKeySet(secret: []).claims(of: Array(token.utf8), now: 1) == nil)
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"keys":[]}"#, #"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
        #"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#,
    ])
    func `a set without a usable key is refused`(text: String) {
        #expect(throws: AccessFailure.self) { try keys(text) }
    }
}
