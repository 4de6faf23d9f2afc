//! The attributes of a user and of an employee. Source: RFC 7643 §§4.1, 4.3 and 8.7.1.

use super::{Attribute, ENTERPRISE_SCHEMA, Schema, USER_SCHEMA};

pub(super) static USER: Schema =
    Schema { id: USER_SCHEMA, name: "User", description: "A user account", attributes: &ATTRIBUTES };

pub(super) static ENTERPRISE: Schema = Schema {
    id: ENTERPRISE_SCHEMA,
    name: "EnterpriseUser",
    description: "What an organisation knows about its employee",
    attributes: &EMPLOYEE,
};

static ATTRIBUTES: [Attribute; 21] = [
    Attribute::text("userName", "The name with which the user signs in").required().unique(),
    Attribute::complex("name", "The parts of the user's name", &NAME),
    Attribute::text("displayName", "The name that others see"),
    Attribute::text("nickName", "What friends say"),
    Attribute::reference("profileUrl", &["external"], "A page about the user"),
    Attribute::text("title", "Such as Vice President"),
    Attribute::text("userType", "How the user belongs to the organisation, such as Contractor"),
    Attribute::text("preferredLanguage", "As in the header Accept-Language"),
    Attribute::text("locale", "For dates, numbers and currency, such as en-US"),
    Attribute::text("timezone", "From the time zone database, such as Europe/Paris"),
    Attribute::boolean("active", "Whether the account may be used"),
    Attribute::text("password", "Taken in, never given out").exact().write_only(),
    Attribute::complex("emails", "Addresses for mail", &EMAILS).many(),
    Attribute::complex("phoneNumbers", "Numbers to call", &PHONE_NUMBERS).many(),
    Attribute::complex("ims", "Addresses for instant messages", &IMS).many(),
    Attribute::complex("photos", "Pictures of the user", &PHOTOS).many(),
    Attribute::complex("addresses", "Places to write to", &ADDRESSES).many(),
    Attribute::complex("groups", "The groups of which the user is a member", &GROUPS).many().read_only(),
    Attribute::complex("entitlements", "What the user may do", &GRANTS).many(),
    Attribute::complex("roles", "What the user is", &GRANTS).many(),
    Attribute::complex("x509Certificates", "Certificates of the user", &CERTIFICATES).many(),
];

static NAME: [Attribute; 6] = [
    Attribute::text("formatted", "The whole name as it is shown"),
    Attribute::text("familyName", "The last name in most Western languages"),
    Attribute::text("givenName", "The first name in most Western languages"),
    Attribute::text("middleName", "Further names"),
    Attribute::text("honorificPrefix", "Such as Dr."),
    Attribute::text("honorificSuffix", "Such as III"),
];

const DISPLAY: Attribute = Attribute::text("display", "The value for people");
const TYPE: Attribute = Attribute::text("type", "What the value is for");
const PRIMARY: Attribute = Attribute::boolean("primary", "Whether it is the preferred one; at most one is");

static EMAILS: [Attribute; 4] =
    [Attribute::text("value", "The address"), DISPLAY, TYPE.suggesting(&["work", "home", "other"]), PRIMARY];

static PHONE_NUMBERS: [Attribute; 4] = [
    Attribute::text("value", "The number"),
    DISPLAY,
    TYPE.suggesting(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

static IMS: [Attribute; 4] = [
    Attribute::text("value", "The address"),
    DISPLAY,
    TYPE.suggesting(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

static PHOTOS: [Attribute; 4] = [
    Attribute::reference("value", &["external"], "The picture's address"),
    DISPLAY,
    TYPE.suggesting(&["photo", "thumbnail"]),
    PRIMARY,
];

static ADDRESSES: [Attribute; 8] = [
    Attribute::text("formatted", "The whole address as on a letter"),
    Attribute::text("streetAddress", "Street and number"),
    Attribute::text("locality", "City"),
    Attribute::text("region", "State or region"),
    Attribute::text("postalCode", "Postal code"),
    Attribute::text("country", "Two letters of ISO 3166-1"),
    TYPE.suggesting(&["work", "home", "other"]),
    PRIMARY,
];

static GROUPS: [Attribute; 4] = [
    Attribute::text("value", "The group's id").exact().read_only(),
    Attribute::reference("$ref", &["Group"], "The group's address").read_only(),
    DISPLAY.read_only(),
    TYPE.suggesting(&["direct", "indirect"]).read_only(),
];

static GRANTS: [Attribute; 4] = [Attribute::text("value", "The name of it"), DISPLAY, TYPE, PRIMARY];

static CERTIFICATES: [Attribute; 4] =
    [Attribute::binary("value", "The certificate in DER and base64"), DISPLAY, TYPE, PRIMARY];

static EMPLOYEE: [Attribute; 6] = [
    Attribute::text("employeeNumber", "The number given by the organisation"),
    Attribute::text("costCenter", "The cost center"),
    Attribute::text("organization", "The organisation"),
    Attribute::text("division", "The division"),
    Attribute::text("department", "The department"),
    Attribute::complex("manager", "Whom the user reports to", &MANAGER),
];

static MANAGER: [Attribute; 3] = [
    Attribute::text("value", "The manager's id").exact(),
    Attribute::reference("$ref", &["User"], "The manager's address"),
    // Read-only in the RFC; but clients send it, and a manager outside the directory has no other name here.
    Attribute::text("displayName", "The manager's name for people"),
];
