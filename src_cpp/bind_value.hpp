/// The bytes of a CQL value, as the protocol writes them, handed to a statement of the driver.
#pragma once

#include <cstddef>
#include <cstdint>

#include "driver_types.hpp"

namespace acsylla_like {

/// The driver's value types; their numbers are the protocol's.
enum ValueType : CassValueType {
  VALUE_CUSTOM = 0x00,
  VALUE_ASCII = 0x01,
  VALUE_BIGINT = 0x02,
  VALUE_BLOB = 0x03,
  VALUE_BOOLEAN = 0x04,
  VALUE_COUNTER = 0x05,
  VALUE_DECIMAL = 0x06,
  VALUE_DOUBLE = 0x07,
  VALUE_FLOAT = 0x08,
  VALUE_INT = 0x09,
  VALUE_TEXT = 0x0A,
  VALUE_TIMESTAMP = 0x0B,
  VALUE_UUID = 0x0C,
  VALUE_VARCHAR = 0x0D,
  VALUE_VARINT = 0x0E,
  VALUE_TIMEUUID = 0x0F,
  VALUE_INET = 0x10,
  VALUE_DATE = 0x11,
  VALUE_TIME = 0x12,
  VALUE_SMALLINT = 0x13,
  VALUE_TINYINT = 0x14,
  VALUE_DURATION = 0x15,
  VALUE_LIST = 0x20,
  VALUE_MAP = 0x21,
  VALUE_SET = 0x22,
  VALUE_UDT = 0x30,
  VALUE_TUPLE = 0x31,
  VALUE_UNKNOWN = 0xFFFF
};

/// Binds the value whose bytes (without a length word) are `data` to the parameter `index`, which has the type `type`.
/// The driver checks the type of what is bound to a prepared statement and has no call that takes raw bytes for every
/// type, so that this picks the call that belongs to the type. With a null `type`, for statements that are not prepared,
/// the bytes are bound as they are. The driver copies: `data` is not used afterwards. Returns the driver's error code, or
/// its "invalid data" when the bytes do not fit the type. Any thread that owns the statement.
CassError bind_value(CassStatement* statement, std::size_t index, const CassDataType* type, const std::uint8_t* data,
                     std::size_t size);

}  // namespace acsylla_like
