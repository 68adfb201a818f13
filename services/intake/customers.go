package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// customers finds who a customerCode belongs to.
type customers struct {
	model *bus.ReadModel[handover.Customer]
}

func newCustomers(model *bus.ReadModel[handover.Customer]) *customers {
	return &customers{model: model}
}

func unknownCustomer() *contract.Error {
	return &contract.Error{
		Code: contract.CodeCustNotFound, Path: "customerCode",
		Message: "no customer has this customerCode; use the code that was given to you when the customer was created",
	}
}

// withCode returns the customer whose code it is. It compares with every key of every
// customer in constant time, so that the time tells nothing about the keys.
func (c *customers) withCode(code string) (handover.Customer, *contract.Error) {
	if code == "" {
		return handover.Customer{}, &contract.Error{Code: contract.CodeIllegalArgument, Path: "customerCode", Message: "is missing"}
	}
	digest := sha256.Sum256([]byte(code))
	given := []byte(hex.EncodeToString(digest[:]))
	var found handover.Customer
	for _, customer := range c.model.All() {
		for _, key := range customer.Keys {
			if subtle.ConstantTimeCompare(given, []byte(key)) == 1 {
				found = customer
			}
		}
	}
	if found.ID == "" {
		return found, unknownCustomer()
	}
	return found, usable(found)
}

// usable refuses a customer whose subscription has ended.
func usable(c handover.Customer) *contract.Error {
	if c.Disabled {
		return &contract.Error{Code: contract.CodeProductExpired, Message: "the customer's subscription has expired; ask the operator of the bus"}
	}
	return nil
}

// system refuses an external system that the customer does not have.
func system(c handover.Customer, name, path string) *contract.Error {
	if slices.Contains(c.Systems, name) {
		return nil
	}
	return &contract.Error{Code: contract.CodeIllegalArgument, Path: path, Message: "the customer has no such external system; ask the operator to register it"}
}
